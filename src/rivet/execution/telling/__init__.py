"""What a run tells: journal, reports, report files; and fault injection at events."""
