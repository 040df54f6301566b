import ArgumentParser
import CoAP
import Envelope
import Foundation
import Relay
import Wire

/// `pangate access`: what relays know of a group.
struct AccessCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "access", abstract: "Hand access lists to relays.", subcommands: [AccessPutCommand.self])
}

/// `pangate access put`: a new list, from when on relays refuse whom it leaves out.
struct AccessPutCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "put",
    abstract: "Hand an access list that the oracle has signed to the relay.",
    discussion: """
      Any member, and the oracle itself, may bring it: what counts is the oracle's signature. From its answer on the relay
      refuses whom the list leaves out.

      EXAMPLES
        pangate access put access-list.cose --config Config/endpoint.yaml

      \(Exit.help)
      """)

  @Argument(help: "The signed list; '-' is standard input.") var file: String
  @Option(help: "The configuration of an endpoint.") var config: String
  @Option(help: "Give up after so many seconds.") var timeout: Int = 30
  @Option(help: ArgumentHelp("See 'pangate relay'.", visibility: .hidden)) var startTime: Int64?

  func run() async throws {
    let bytes = try InputFile.bytes(file)
    let runner = try EndpointRunner(EndpointConfiguration.load(config), clock: ShiftedClock(start: startTime))
    var failure: Failure?
    var isSent = false
    let isInTime = try await runner.run(timeout: .seconds(timeout)) { step in
      switch step {
      case .up where !isSent:
        isSent = true
        runner.client.submit(bytes, number: EndpointRunner.firstChunk)
      case .answered(_, .custody): return true
      case .answered(_, .refused(let code, let reason)):
        failure = Failure(
          description: "\(file): the relay refuses the list: \(reason ?? "code \(code >> 5).\(code & 31)")",
          code: Exit.inputErrors)
        return true
      case .down(let url, let reason): note("pangate: \(url): \(reason); trying again")
      default: break
      }
      return false
    }
    await runner.stop()
    if let failure { throw failure }
    guard isInTime else { throw Failure(description: "no answer within \(timeout) seconds", code: Exit.inputErrors) }
    print("\(file): obeyed")
  }
}
