"""Run directories: what a training leaves behind, and the policy that is loaded from it."""
