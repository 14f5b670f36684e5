"""The guided lesson: seven steps over all tabs, each with a check of what was really done."""
