import ArgumentParser
import Foundation

/// `pangate-load`: load on a relay, for `tools/bench-relay`.
@main
struct LoadCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pangate-load",
    abstract: "Make a group of many members, and measure a relay with it.",
    discussion: """
      EXAMPLES
        pangate-load make /tmp/load --senders 64
        pangate relay --config /tmp/load/relay.yaml &
        pangate-load submit /tmp/load --envelopes 200000
        pangate-load latency /tmp/load --envelopes 5000 --rate 1000
      """,
    subcommands: [MakeCommand.self, SubmitCommand.self, LatencyCommand.self])
}

/// Where the group is.
struct LoadOptions: ParsableArguments {
  @Argument(help: "The directory that 'make' wrote.") var directory: String
  @Option(help: "The relay.") var url = "coap+tcp://127.0.0.1:27683"
  @Option(help: "Senders, each with a connection.") var senders = 64
  @Option(help: "Envelopes in all.") var envelopes = 100_000
  @Option(help: "Bytes of payload.") var size = 100
}

/// What went wrong, in a line.
struct LoadError: Error, CustomStringConvertible {
  var description: String
}
