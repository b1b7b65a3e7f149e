"""`tune`: the best serving configuration of an inference engine, by trials on leased devices."""
