import ArgumentParser
import Foundation

/// `pangate status`: how a running gateway does.
struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Show how a running gateway does: nodes, queues, radio.",
    discussion: """
      EXAMPLES
        pangate status --config /etc/pangate/gateway.yaml
        pangate status --control /run/pangate/control --watch
        pangate status --control /run/pangate/control --json

      \(Exit.help)
      """)

  @OptionGroup var control: ControlOption
  @Flag(help: "Show it again every second, until interrupted.") var watch = false
  @Flag(help: "As JSON, one object a line.") var json = false

  func run() throws {
    let path = try control.path()
    repeat {
      guard case .status(let status) = try ControlClient.ask(.status, at: path) else { return }
      let clear = watch && !json ? "\u{1b}[H\u{1b}[2J" : ""
      try FileHandle.standardOutput.write(
        contentsOf: Data((clear + (json ? JSONOutput.line(status) : status.text) + "\n").utf8))
      if watch { Thread.sleep(forTimeInterval: 1) }
    } while watch
  }
}

/// `pangate send`: a command of the owner.
struct SendCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "send",
    abstract: "Give a command to a node, as the owner whose endpoint is in the gateway's process.",
    discussion: """
      EXAMPLES
        pangate send --config Config/gateway.yaml --to lock --coap 'PUT /lock open'

      \(Exit.help)
      """)

  @OptionGroup var control: ControlOption
  @Option(help: "The node's name in the peer record.") var to: String
  @Option(help: "The request: METHOD /path [value].") var coap: String
  @Flag(help: "As JSON.") var json = false

  func run() throws {
    guard case .sent(let sequence) = try ControlClient.ask(.send("\(to): \(coap)"), at: control.path()) else { return }
    print(json ? JSONOutput.line(["sequence": sequence]) : "given, seq \(sequence)")
  }
}

/// Where the gateway's control socket is.
struct ControlOption: ParsableArguments {
  @Option(help: "The gateway's control socket.") var control: String?
  @Option(help: "The gateway's configuration, which names the control socket.") var config: String?

  func path() throws -> String {
    if let control { return control }
    guard let config else { throw Failure.usage("give --control PATH, or --config FILE with 'control' in it") }
    guard let path = try GatewayConfiguration.load(config).service.control else {
      throw Failure.cannotStart("\(config): has no 'control'; add it and restart the gateway, or give --control PATH")
    }
    return path
  }
}
