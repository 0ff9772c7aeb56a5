"""What the notebooks practise on: each module loads, fetches or makes one kind of data."""
