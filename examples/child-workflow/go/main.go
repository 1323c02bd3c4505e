// An app of its own, in Go: its workflow asks for a human yes through Countersign, then refunds once.
//
//	dapr run --app-id shop --resources-path ../../../components -- go run . 4711 250.00
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/dapr/durabletask-go/workflow"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Order is what the workflow is started with.
type Order struct {
	ID     string `json:"id"`
	Amount string `json:"amount"`
}

// Request is the input of request_approval_workflow, contract 1.
type Request struct {
	Contract    int    `json:"contract"`
	Kind        string `json:"kind"`
	Subject     string `json:"subject"`
	Amount      string `json:"amount"`
	Currency    string `json:"currency"`
	Description string `json:"description"`
	Requester   string `json:"requester"`
}

// Answer is its output. Fields that this program does not read are left out.
type Answer struct {
	Status    string `json:"status"`
	Approved  bool   `json:"approved"`
	Reason    string `json:"reason"`
	DecidedBy []struct {
		Name string `json:"name"`
	} `json:"decided_by"`
}

// Ended is the output of the refund.
type Ended struct {
	Status   string   `json:"status"`
	Reason   string   `json:"reason,omitempty"`
	Refunded string   `json:"refunded,omitempty"`
	By       []string `json:"by,omitempty"`
}

func refundWorkflow(ctx *workflow.WorkflowContext) (any, error) {
	var order Order
	if err := ctx.GetInput(&order); err != nil {
		return nil, err
	}
	request := Request{
		Contract: 1, Kind: "refund", Subject: "order " + order.ID, Amount: order.Amount, Currency: "EUR",
		Description: "The parcel never arrived", Requester: "requester@example.com",
	}
	var answer Answer
	asked := ctx.CallChildWorkflow("request_approval_workflow",
		workflow.WithChildWorkflowInput(request),
		workflow.WithChildWorkflowInstanceID(ctx.ID()+"-approval"),
		workflow.WithChildWorkflowAppID(env("COUNTERSIGN_APP_ID", "countersign")))
	if err := asked.Await(&answer); err != nil {
		return nil, err
	}
	if !answer.Approved {
		return Ended{Status: answer.Status, Reason: answer.Reason}, nil
	}
	ended := Ended{Status: "refunded"}
	for _, each := range answer.DecidedBy {
		ended.By = append(ended.By, each.Name)
	}
	err := ctx.CallActivity("refund", workflow.WithActivityInput(order)).Await(&ended.Refunded)
	return ended, err
}

// refund pays the money back. It may run more than once: a real one sends the order's id as its idempotency key.
func refund(ctx workflow.ActivityContext) (any, error) {
	var order Order
	if err := ctx.GetInput(&order); err != nil {
		return nil, err
	}
	return fmt.Sprintf("%s EUR for order %s", order.Amount, order.ID), nil
}

func run(ctx context.Context, order Order) error {
	address := "127.0.0.1:" + env("DAPR_GRPC_PORT", "50001")
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	registry := workflow.NewRegistry()
	if err := registry.AddWorkflowN("refund_workflow", refundWorkflow); err != nil {
		return err
	}
	if err := registry.AddActivityN("refund", refund); err != nil {
		return err
	}
	client := workflow.NewClient(connection)
	if err := client.StartWorker(ctx, registry); err != nil {
		return err
	}
	id := "refund-" + order.ID
	if _, err := client.FetchWorkflowMetadata(ctx, id); err != nil { // started before: go on waiting
		_, err = client.ScheduleWorkflow(ctx, "refund_workflow", workflow.WithInstanceID(id), workflow.WithInput(order))
		if err != nil {
			return err
		}
	}
	fmt.Println(id, "waits for a human yes")
	ended, err := client.WaitForWorkflowCompletion(ctx, id, workflow.WithFetchPayloads(true))
	if err != nil {
		return err
	}
	fmt.Println(ended.Output.GetValue())
	return nil
}

func env(name, otherwise string) string {
	if found := os.Getenv(name); found != "" {
		return found
	}
	return otherwise
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: refund ORDER AMOUNT")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 7*24*time.Hour)
	defer cancel()
	if err := run(ctx, Order{ID: os.Args[1], Amount: os.Args[2]}); err != nil {
		log.Fatal(err)
	}
}
