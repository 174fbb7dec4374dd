"""Machine-checkable instructions: their kinds and wordings, drawing them and finding them."""
