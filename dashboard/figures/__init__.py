"""What a page shows: from a snapshot to frames and numbers. Pure; views only arrange them."""
