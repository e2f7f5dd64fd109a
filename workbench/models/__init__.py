"""The bundled tiny model and the script that made it."""
