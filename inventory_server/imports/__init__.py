"""Files that headquarters imports."""
