"""One file per revision; a file that was released is never edited."""
