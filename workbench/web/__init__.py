"""The page: FastAPI routes for live data and commands, Gradio for layout, forms and the named API. Never torch."""
