"""What the experiment is: profile, variants, all jobs, and the identity of each result."""
