"""`python -m keras_aib.cli`."""

from keras_aib.cli import main

if __name__ == "__main__":
    main()
