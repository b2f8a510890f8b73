"""Recall canaries: queries whose exact answers are kept, and looked for again on a schedule."""
