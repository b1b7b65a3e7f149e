"""Read models of the page: each is one document, made from the store's reading side and a look at the machine."""
