"""The support bundle: one file that says what somebody who helps needs to know."""
