"""Shared definitions of word, sentence, code, number, language and courtesy for all packages."""
