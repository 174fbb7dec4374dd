"""One definition of word, sentence, code, number, language and courtesy, shared by all packages."""
