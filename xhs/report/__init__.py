"""The page of ``scrapy report``: figures from a stream of comments, and one HTML file of them."""

LANGUAGES = ("en", "zh")
"""Languages of the page."""
