"""What a text is made of, decided in one place: its language."""
