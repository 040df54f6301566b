import ArgumentParser

/// `pangate stream`: bytes as they come, sealed, to those who are connected.
struct StreamCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stream", abstract: "Send or receive a stream of bytes: sealed end to end, never stored.",
    subcommands: [])
}
