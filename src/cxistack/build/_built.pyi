COMPILER: str
PLATFORM: str
CODECS: dict[str, str]
