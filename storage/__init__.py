"""What we keep: the only room that speaks SQL. Functions take a connection and never commit."""
