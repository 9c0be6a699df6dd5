"""What was painted and chosen before, kept over sessions in GIMP's profile. Standard library only."""
