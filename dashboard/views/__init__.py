"""The pages. They arrange; they neither calculate nor ask the warehouse."""
