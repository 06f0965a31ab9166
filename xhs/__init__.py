"""Comments of RedNote (Xiaohongshu) notes: complete, valid, cheap and on time."""
