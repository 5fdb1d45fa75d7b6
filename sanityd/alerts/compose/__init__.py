"""Alert → message: the sentences, tables and templates that mails are made of. Sends nothing."""
