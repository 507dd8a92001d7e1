"""Pure networks of methods that no library holds; they know nothing of prompts, files or devices."""
