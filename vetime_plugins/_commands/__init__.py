"""The sub-commands of ``vetime``, each imported only when it is asked for."""
