"""What runs cells: the contract and the adapters that come with passloop."""
