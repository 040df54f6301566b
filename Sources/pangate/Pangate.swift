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
        pangate sniff zep://127.0.0.1:17754 --channel 26
        pangate identity new --name lock -o lock.pem

      \(Exit.help)
      """,
    version: "0.1.0",
    subcommands: [
      Decode.self, Replay.self, RadioCommand.self, Sniff.self, IdentityCommand.self, EnvelopeCommand.self,
    ])

  /// Like ArgumentParser's own `main`, with this project's exit codes.
  static func main() async {
    signal(SIGPIPE, SIG_DFL)
    do {
      var command = try parseAsRoot()
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
    } catch let failure as Failure {
      note("pangate: \(failure.description)")
      Foundation.exit(failure.code)
    } catch let code as ExitCode {
      Foundation.exit(code.rawValue)
    } catch {
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
}
