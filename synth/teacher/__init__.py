"""The teacher: who is asked, how, and how its replies are kept for ever."""
