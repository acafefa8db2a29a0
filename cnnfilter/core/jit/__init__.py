"""How the loops become machine code, and where it is kept."""
