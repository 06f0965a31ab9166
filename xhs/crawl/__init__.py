"""A crawl of notes: which are read, from where, what follows a page, and how each ends.

Neither Scrapy nor MongoDB is known here.
"""
