# Made by configure.
