"""How a province adopts over the years, as a table and as a picture: see docs/pictures.md."""
