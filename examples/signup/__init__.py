"""A small application with a mailer service, and the rules that watch both. Start with
README.md."""
