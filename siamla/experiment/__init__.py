"""What the experiment is: profile, variants, the plan of all jobs, and the identity of each
result.
"""
