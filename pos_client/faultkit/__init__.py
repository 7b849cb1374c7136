"""The fault kit: runs a till program against an unreliable HQ and checks that no sale is lost or doubled."""
