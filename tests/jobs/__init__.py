"""What a job is: its states, journal, blobs and queue."""
