"""What the README is made from: its tables and its screenshots."""
