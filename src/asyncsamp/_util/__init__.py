"""What several packages need and none owns: threads, private files, work at exit."""
