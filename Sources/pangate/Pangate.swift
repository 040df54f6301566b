import ArgumentParser
import Foundation

/// `pangate`: the command line.
@main
struct Pangate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pangate",
    abstract: "Border router and relay for 802.15.4 / 6LoWPAN homes.",
    discussion: """
      EXAMPLES
        pangate decode Captures/home.pcap
        pangate replay Captures/home.pcap --config Config/demo/gateway.yaml
        pangate radio list
        pangate sniff linux:monitor0 --channel 15
        pangate gateway --config /etc/pangate/gateway.yaml
        pangate relay --config /etc/pangate/relay.yaml
        pangate send --config endpoint.yaml --to lock --coap 'PUT /lock open' --wait
        pangate receive --config endpoint.yaml --follow
        pangate identity new --name lock -o lock.pem
        pangate oracle admit --name phone --role endpoint --identity phone.pem

      \(Exit.help)
      """,
    version: "0.1.0",
    subcommands: [
      GatewayCommand.self, RelayCommand.self, StatusCommand.self, SendCommand.self, ReceiveCommand.self,
      StreamCommand.self, NodeCommand.self, OracleCommand.self, AccessCommand.self, RadioCommand.self, Sniff.self,
      Decode.self,
      Replay.self, IdentityCommand.self, EnvelopeCommand.self,
    ])

  /// Like ArgumentParser's own `main`, with this project's exit codes.
  static func main() {
    do {
      var command = try parseAsRoot()
      guard command is any AsyncParsableCommand else {
        signal(SIGPIPE, SIG_DFL)
        return try command.run()
      }
      // A peer that went away is an error of the write, not the end of the process.
      signal(SIGPIPE, SIG_IGN)
      try (command as? GatewayCommand)?.prepare()
      Task {
        do {
          // Read again, since a command cannot be handed from thread to thread.
          var command = try parseAsRoot() as? any AsyncParsableCommand
          try await command?.run()
        } catch { end(error) }
        Foundation.exit(Exit.done)
      }
      dispatchMain()
    } catch {
      end(error)
    }
  }

  /// Says what was wrong, and ends.
  private static func end(_ error: any Error) -> Never {
    if let failure = error as? Failure {
      note("pangate: \(failure.description)")
      Foundation.exit(failure.code)
    }
    if let code = error as? ExitCode { Foundation.exit(code.rawValue) }
    let text = fullMessage(for: error)
    if exitCode(for: error).isSuccess {
      print(text)
      Foundation.exit(Exit.done)
    }
    note(text)
    Foundation.exit(
      error is ValidationError || "\(type(of: error))".contains("Command") ? Exit.usage : Exit.cannotStart)
  }
}
