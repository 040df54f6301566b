import ArgumentParser
import Foundation
import Relay

/// `pangate relay status`: how a running relay does.
struct RelayStatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show how a running relay does: groups, sessions, what it holds, what it refused.",
    discussion: """
      EXAMPLES
        pangate relay status --config /etc/pangate/relay.yaml
        pangate relay status --control /run/pangate/relay --json

      \(Exit.help)
      """)

  @OptionGroup var control: RelayControlOption
  @Flag(help: "As JSON.") var json = false

  func run() throws {
    guard case .relayStatus(let status) = try ControlClient.ask(.relayStatus, at: try control.path()) else { return }
    print(json ? JSONOutput.line(status) : status.text)
  }
}

/// `pangate relay backup`: a copy of the store of a running relay.
struct RelayBackupCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup", abstract: "Copy the store of a running relay to a file.",
    discussion: """
      EXAMPLES
        pangate relay backup --config /etc/pangate/relay.yaml /var/backups/relay.sqlite

      \(Exit.help)
      """)

  @OptionGroup var control: RelayControlOption
  @Argument(help: "The file, which must not be there yet; the relay writes it.") var file: String

  func run() throws {
    let path = URL(fileURLWithPath: file).path
    guard case .done = try ControlClient.ask(.backup(path), at: try control.path()) else { return }
    print("\(file): written")
  }
}

/// Where the relay's control socket is.
struct RelayControlOption: ParsableArguments {
  @Option(help: "The relay's control socket.") var control: String?
  @Option(help: "The relay's configuration, which names the control socket.") var config: String?

  func path() throws -> String {
    if let control { return control }
    guard let config else { throw Failure.usage("give --control PATH, or --config FILE with 'control' in it") }
    guard let path = try RelayConfigurationFile.load(config).control else {
      throw Failure.cannotStart("\(config): has no 'control'; add it and restart the relay, or give --control PATH")
    }
    return path
  }
}

extension RelayStatus {
  /// For a terminal.
  var text: String {
    var lines = [
      "relay      \(isReady ? "ready" : "NOT READY: its store does not work"), \(sessions.count) sessions",
      "held       \(heldMessages) messages, \(heldBytes) bytes",
    ]
    for group in groups { lines.append("group      \(group.group), epoch \(group.epoch), \(group.members) members") }
    let refused = refusals.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.value) \($0.key)" }
    lines.append("refused    \(refused.isEmpty ? "none" : refused.joined(separator: ", "))")
    guard !sessions.isEmpty else { return lines.joined(separator: "\n") }
    var table = TextTable(["session of", "mailboxes", "on their way", "since"], rightAligned: [1, 2])
    for session in sessions {
      let since = Date(timeIntervalSince1970: Double(session.since)).formatted(.iso8601)
      table.add([String(session.client.prefix(16)), "\(session.mailboxes)", "\(session.inFlight)", since])
    }
    return (lines + ["", table.text]).joined(separator: "\n")
  }
}
