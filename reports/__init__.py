"""What we tell: questions that only read; the faces ask here and never in storage/."""
