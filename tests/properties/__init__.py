"""Properties that hold for whatever comes in; `make test-properties` tries many more cases."""
