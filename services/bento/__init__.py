"""What a Bento of one project holds: its model behind the contract of the stack's endpoint, without the stack."""
