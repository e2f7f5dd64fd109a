"""Records to pictures and to the JSON that the page draws. Shared by the page and the notebooks; never torch."""
