"""One request in, one Outcome out. Pure: publishing, recording and time are arguments."""
