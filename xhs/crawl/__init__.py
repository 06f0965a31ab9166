"""The crawl of notes: which are read, from which page, what follows a page, and how each ends.

Imports neither Scrapy nor pymongo.
"""
